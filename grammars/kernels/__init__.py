"""Compiled inner loops: pure functions over arrays that return a status code.

Everything that touches numba lives in this package. A kernel never raises: it returns a number, and the Python side
that called it turns a negative one into growth, a filled-in row or an error. See `policy` for the one place where the
decorator's options are decided.
"""
