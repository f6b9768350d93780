"""What several tests share: commands run as a user runs them, small searches, evaluators that misbehave, a disk."""
