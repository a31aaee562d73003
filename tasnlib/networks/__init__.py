"""The networks inside TASN: small ones, pretrained ones, and how a model is built from its architecture."""
