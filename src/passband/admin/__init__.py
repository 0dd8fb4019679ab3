"""What operators, developers and machines ask of a running node: is it alive, what does it count, where is a message,
which callback is due when; and what developers play: handsets, faults, the time. It listens on the loopback unless told
otherwise, because it asks for no credentials."""
