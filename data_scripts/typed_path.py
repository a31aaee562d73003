"""Paths on the command line."""

import argparse
from pathlib import Path


def typed_path(text: str) -> Path:
    """For argparse: ~ and quotes as people type or paste them."""
    from tasnlib.data.files import expanded  # the package imports torch, for which --help need not wait

    try:
        return expanded(text, "it")
    except ValueError as reason:
        raise argparse.ArgumentTypeError(str(reason)) from None
