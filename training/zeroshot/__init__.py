"""A voice that speaks like a short recording: trained on flite's voices and variants of them."""
