"""The embedded platform: real servers on this machine, under one supervisor, on loopback and on owned ports."""
