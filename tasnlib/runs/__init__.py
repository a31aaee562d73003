"""From parameters to a folder and a result: settings, one run, its folder, prediction."""
