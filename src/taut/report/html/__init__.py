"""Results as HTML: one page that stands alone, and the small reprs of notebooks."""
