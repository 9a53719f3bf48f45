"""What the end-to-end tests and the demo share: real servers, raw clients, an independent reader."""
