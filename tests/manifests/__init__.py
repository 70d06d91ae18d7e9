"""Custom resources against the schemas of the operators that read them. `make manifests`; needs the network once."""
