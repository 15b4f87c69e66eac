"""What a source holds, before a study is written: files, columns and their levels, units, a proposed row."""
