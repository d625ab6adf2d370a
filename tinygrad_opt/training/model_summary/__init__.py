"""model_summary."""
