"""What a model looks at: Event + Detector -> arrays."""
