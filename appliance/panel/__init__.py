"""The front panel: buttons, LEDs, mute switch and volume."""
