"""What unibus costs beside the raw client: paired rounds, medians, ratios with their spread."""
