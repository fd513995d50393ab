"""Metrics of single detections: AP, Pd and false alarms, ROC."""
