"""Cameras, network streams and raw frames from a pipe: the newest frame first.

    address -> connection -> reader (a thread) -> source

``address.py`` says what a live source is, ``av_connection.py`` and ``raw_connection.py`` open one,
``reader.py`` reads it in a thread, keeps the newest frame and connects again, ``stream_clock.py``
gives each frame its index and its time, and ``source.py`` hands frames out.
"""
