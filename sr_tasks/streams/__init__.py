"""What becomes of every stream beside the picture, and the joining of the finished file. No picture is encoded here."""
