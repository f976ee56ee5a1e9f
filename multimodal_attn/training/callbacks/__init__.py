"""Callbacks of ours; Lightning's own are named in ``conf/callbacks`` directly."""
