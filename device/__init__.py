"""The runtime on the device: standard library, click, paho-mqtt, orjson; engines only inside their backends."""
