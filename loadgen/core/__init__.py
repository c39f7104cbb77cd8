"""The pure half: plan, schedule, wire parser, histogram, trust, report. No socket, no clock."""
