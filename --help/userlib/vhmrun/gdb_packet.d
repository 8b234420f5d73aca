/tmp/h-pv/main/--help/userlib/vhmrun/gdb_packet.o: \
 /tmp/h-pv/main/userlib/vhmrun/gdb_packet.c \
 /tmp/h-pv/main/userlib/vhmrun/gdb_packet.h
/tmp/h-pv/main/userlib/vhmrun/gdb_packet.h:
