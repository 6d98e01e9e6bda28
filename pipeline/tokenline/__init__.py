"""What runs stages; knows no provider."""
