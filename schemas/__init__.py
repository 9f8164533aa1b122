"""What documents must look like: XML schemas, safe XML parsing, JSON Schemas, the BagIt profile."""
