"""What ``benchmarks/peers.py`` is made of: one load for everybody, and how each gateway is started.

load         the application: posts, and takes callbacks; the same for everybody
processes    programs that are started and ended, and the carrier that all of them share
passband     Passband, on SQLite
kannel       Kannel: bearerbox and smsbox, everything in memory
jasmin       Jasmin, with RabbitMQ and Redis
"""
