"""What is plugged into the paper's network: small networks, pretrained ones, and from a recipe to a model."""
