"""What exists for the notebooks alone: plots, widgets, exercises, headless running and pages."""
