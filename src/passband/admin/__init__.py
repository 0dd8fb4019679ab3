"""What operators and machines ask of a running node: is it alive, is it ready, what does it count; and inbound messages
for the simulated carrier. It listens on the loopback unless told otherwise, because it asks for no credentials."""
