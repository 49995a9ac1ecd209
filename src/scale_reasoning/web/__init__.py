"""What a browser or a client is served: the proxy and the viewer."""
