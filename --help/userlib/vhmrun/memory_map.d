/tmp/h-pv/main/--help/userlib/vhmrun/memory_map.o: \
 /tmp/h-pv/main/userlib/vhmrun/memory_map.c \
 /tmp/h-pv/main/userlib/vhmrun/memory_map.h \
 /tmp/h-pv/main/userlib/include/libvhm.h \
 /tmp/h-pv/main/userlib/../ioctl/uapi/linux/vhm.h
/tmp/h-pv/main/userlib/vhmrun/memory_map.h:
/tmp/h-pv/main/userlib/include/libvhm.h:
/tmp/h-pv/main/userlib/../ioctl/uapi/linux/vhm.h:
