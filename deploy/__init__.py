"""What goes to a target: Paddle Inference, Paddle Lite, pruning and the HTTP service."""
