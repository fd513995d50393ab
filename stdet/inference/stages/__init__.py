"""The stages that a frame passes on its way from a source to a track.

    frames -> leave out blank -> scale -> split at gaps -> register -> detect -> track

One file per stage; ``stage.py`` says what a stage is, ``frames.py`` what goes from one to the
next, and ``../pipeline.py`` joins them.
"""
