"""PaddleSlim's filter pruners as the ones who choose channels, in a process of their own, checked in all they do.

The folder is not named after the library, which `python deploy/slim/plan.py` would then no longer find.
"""
