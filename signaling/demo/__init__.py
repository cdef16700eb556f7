"""The demo guests: three doctors, real WebRTC clients of ours, who discuss a case in two languages."""
