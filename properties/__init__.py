"""YAML defaults, installed as recbole_micro.properties."""
