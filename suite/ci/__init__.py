"""Continuous integration of a repository that uses claimbench: the files that `ci init` writes.

`scaffold` renders `templates/` with the actions that `actions` pins. `comment_body` is the one
program among them: a workflow holds its text and runs it alone.
"""
