"""Paths of the command line."""

import argparse
from pathlib import Path

from tasnlib.data.files import expanded


def typed_path(text: str) -> Path:
    """For argparse: ~, file: URLs and quotes as people type or paste them."""
    try:
        return expanded(text, "it")
    except ValueError as reason:
        raise argparse.ArgumentTypeError(str(reason)) from None
