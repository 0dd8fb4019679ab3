"""The HTTP API: who may ask, what is asked, and the answers; everything else is behind the functions handed in."""
