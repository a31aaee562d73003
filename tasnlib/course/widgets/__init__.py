"""Sliders for the notebooks: thin, each calls one drawing function of `plots`."""

from tasnlib.course.widgets.explore import PRERENDER, Slider, explore

__all__ = ["PRERENDER", "Slider", "explore"]
