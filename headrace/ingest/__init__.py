"""From the sources to the lake: topics, connectors, pulls, markers, and the landing worker that reads the bus."""
