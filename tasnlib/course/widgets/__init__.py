"""Sliders and widgets around the drawing functions of `plots`."""
