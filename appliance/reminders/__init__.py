"""Reminders, timers, alarms and schedules."""
