"""Why a model said what it said: which sensors, and which stretch of time, moved one prediction."""
