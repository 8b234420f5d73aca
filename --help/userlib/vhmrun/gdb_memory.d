/tmp/h-pv/main/--help/userlib/vhmrun/gdb_memory.o: \
 /tmp/h-pv/main/userlib/vhmrun/gdb_memory.c \
 /tmp/h-pv/main/userlib/vhmrun/gdb_target.h \
 /tmp/h-pv/main/userlib/include/libvhm.h \
 /tmp/h-pv/main/userlib/../ioctl/uapi/linux/vhm.h \
 /tmp/h-pv/main/userlib/vhmrun/gdb_packet.h
/tmp/h-pv/main/userlib/vhmrun/gdb_target.h:
/tmp/h-pv/main/userlib/include/libvhm.h:
/tmp/h-pv/main/userlib/../ioctl/uapi/linux/vhm.h:
/tmp/h-pv/main/userlib/vhmrun/gdb_packet.h:
