"""The runtime on the device: standard library, click, paho-mqtt and orjson; an inference engine only inside its backend."""
