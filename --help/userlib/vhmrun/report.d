/tmp/h-pv/main/--help/userlib/vhmrun/report.o: \
 /tmp/h-pv/main/userlib/vhmrun/report.c \
 /tmp/h-pv/main/userlib/vhmrun/report.h \
 /tmp/h-pv/main/userlib/include/libvhm.h \
 /tmp/h-pv/main/userlib/../ioctl/uapi/linux/vhm.h \
 /tmp/h-pv/main/userlib/vhmrun/message.h
/tmp/h-pv/main/userlib/vhmrun/report.h:
/tmp/h-pv/main/userlib/include/libvhm.h:
/tmp/h-pv/main/userlib/../ioctl/uapi/linux/vhm.h:
/tmp/h-pv/main/userlib/vhmrun/message.h:
