"""Where lines of text go while a run goes on: standard output, files, UDP, MQTT."""
