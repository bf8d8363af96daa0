"""Validation: the simulation against published tables and against Geant4; page.py runs it all."""
