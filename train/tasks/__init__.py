"""Tasks: what is predicted. A new one is one new file and one line here."""

from edge.registry import Registry

TASKS = Registry(
    "task",
    {
        "rul": "train.tasks.rul:RemainingUsefulLife",
        "failure": "train.tasks.failure:Failure",
        "anomaly": "train.tasks.anomaly:Anomaly",
        "classify": "train.tasks.classify:Classify",
        "forecast": "train.tasks.forecast:Forecast",
    },
)
