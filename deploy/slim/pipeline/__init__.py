"""The whole life of a smaller network: trained, measured, planned, cut, fine-tuned, quantised, exported, reported."""
