"""What differs between two plans: of the whole (`plans`) and layer by layer (`layers`)."""
