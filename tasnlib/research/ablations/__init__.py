"""What each part of TASN is worth: variants of it, trained side by side. Notebook 06 shows the tables."""
