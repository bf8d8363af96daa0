"""Neutrino interactions, particle transport and detector response: events where no experiment's own are at hand."""
