"""What is compared and measured: localisation, cost, the authors' sampler, ablations."""
